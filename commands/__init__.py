"""The commands behind the door, a module for each noun; they parse, wire, call and print, and know no method."""
