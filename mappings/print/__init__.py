"""From values to what a printed sheet reads: Japanese words in one flat JSON. Pure."""
