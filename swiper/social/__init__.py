"""The deck, swipes, matches, friends and the ranking."""
