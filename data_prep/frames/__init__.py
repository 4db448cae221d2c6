"""Colonoscopy frame quality: frames, their labels, crops, and stand-ins for recorded videos."""
