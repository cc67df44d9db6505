"""What the scikit-learn estimators have in common: their input, and the model that they train."""
