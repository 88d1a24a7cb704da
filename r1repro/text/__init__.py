"""Reading completions: tags and answers, language, reflection, repetition."""
