import ArgumentParser

@main struct Pail: ParsableCommand {}
