"""Pictures and pages for people: plots, the report of one output, listening studies."""
