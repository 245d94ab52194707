"""Heads on the words of a sentence: tags, conditional random fields, dependency trees."""
