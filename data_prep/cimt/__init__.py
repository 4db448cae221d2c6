"""Carotid intima-media boundaries: regions, their traced interfaces, training pixels, phantom."""
