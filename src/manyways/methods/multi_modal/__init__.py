"""Learning from several inputs of a row: pictures with their names, sounds with pictures, text with numbers."""
