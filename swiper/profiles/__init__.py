"""People: profiles, preferences, cards, uploads, suspension, deletion and export."""
