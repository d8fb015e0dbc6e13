"""Answers without a model: finders propose words of the pages, and a calibration judges them."""
