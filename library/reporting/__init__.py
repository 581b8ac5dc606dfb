"""The report: one HTML file that shows runs or a store to people. One module for each part of the page."""
