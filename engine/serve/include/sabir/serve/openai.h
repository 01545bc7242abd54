// OpenAI's API over a project: /v1/models, /v1/chat/completions, /v1/responses, /v1/embeddings. Each exposed assistant is a model, and each
// exposed alias.
//
// Threads: the loop's. Lifetimes: what it adds lives as long as the app.
#pragma once

#include "sabir/serve/app.h"

namespace sabir::serve {

void plug_openai(App& app);

}  // namespace sabir::serve
