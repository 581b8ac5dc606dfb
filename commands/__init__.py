"""The commands, one module for each noun; they parse, call one function of the library and print."""
