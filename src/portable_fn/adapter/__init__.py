"""The modules for adapter authors: the pipeline and its parts."""
