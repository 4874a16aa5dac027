"""What adapter authors import: the pipeline and its parts."""
