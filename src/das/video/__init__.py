"""Image to video: operations, schedule, relaxed cell, policy and its compiled form."""
