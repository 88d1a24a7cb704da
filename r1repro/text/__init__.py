"""Analysis of completion text: tags, answers, language, reflection, repetition."""
