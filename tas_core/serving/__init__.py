"""A process that keeps a model loaded and makes files for other programs of this machine, over HTTP."""
