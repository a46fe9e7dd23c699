"""SQL of the deck, swipes, matches, likers and the ranking: one module for each."""
