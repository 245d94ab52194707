"""Bases of methods: what the methods of a family share, cut out of them."""
