"""How many units and days an experiment needs, from what is known before it.
No result of it comes in here."""
