"""Archive inspection, a pure room of its own: bytes in, facts or a refusal out.
Start at `inspection`; nothing here extracts a file or loads a pickle."""
