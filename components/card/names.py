"""The files of a model card: for programs, and for people."""

JSON, MARKDOWN = "model_card.json", "model_card.md"
