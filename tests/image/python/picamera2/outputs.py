class Output:
    def __init__(self):
        return
