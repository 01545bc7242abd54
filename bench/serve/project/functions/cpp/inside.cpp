/// Adds, inside the engine's process.
/// @effect read
int add(int a, int b) { return a + b; }
