"""Every outcome once: from a message of the queue to sums of whole numbers.
What the sums say is not known here."""
