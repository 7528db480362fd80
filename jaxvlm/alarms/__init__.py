"""From what a camera shows to an alarm: when an event starts and ends, the record, its pictures and
clip, and who is told of it.

Arrays, pictures and plain data in; nothing here knows an encoder.
"""
