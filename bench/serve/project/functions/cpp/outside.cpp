/// Adds, in a process of its own.
/// @effect read
int add(int a, int b) { return a + b; }
