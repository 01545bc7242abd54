#include "sabir/cli/cli.h"

int main(int argc, char** argv) { return sabir::cli::run(argc, argv); }
