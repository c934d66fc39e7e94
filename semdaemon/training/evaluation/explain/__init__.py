"""What a network does to a picture: scale by scale, frequency by frequency, and where nothing is to be seen.

The paper asks which filters restore and which frequencies come back; `explain` answers for any weights.
"""
