"""What the operating system lends: files that appear whole or not at all, processes, devices, versions."""
