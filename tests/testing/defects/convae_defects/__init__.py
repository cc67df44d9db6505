"""A plugin that is wrong in every way that the conformance kit looks for: one entry a defect."""
