"""The jobs that models do, one file or folder each."""
