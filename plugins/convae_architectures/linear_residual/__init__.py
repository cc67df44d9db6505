"""A linear path that starts as PCA, and a nonlinear one beside it that starts at zero."""
