"""The default family: masks per clause over time and frequency, each put in its place by a measured head."""
