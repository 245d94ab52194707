"""Estimators of scikit-learn written into arrays: the features that they read of rows, and their heads."""
