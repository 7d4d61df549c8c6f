"""Trained models for elsewhere: one file that needs nothing of this package, and a card that says what it is."""
