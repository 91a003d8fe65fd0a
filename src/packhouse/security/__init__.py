"""Knowledge and judgement, pure where possible."""
