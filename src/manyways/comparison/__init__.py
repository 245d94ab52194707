"""Side by side under one budget: compare, advise, and the report of what came of it."""
