"""The project's functions in Python: each public function of each file here can be called from every language."""
