"""Words to calls: what somebody asks for in a sentence, as operations of the catalogue.

Pure and offline. ``understand`` gives the calls with reasons, or a question where two fit.
"""

from clerk_jobs.words.understand import understand
from clerk_jobs.words.understanding import Planned, Question, Topic, Unclear, Understanding, Understood

__all__ = ["Planned", "Question", "Topic", "Unclear", "Understanding", "Understood", "understand"]
