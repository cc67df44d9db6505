"""Run folders: the record, the history and the checkpoints of a training run."""
