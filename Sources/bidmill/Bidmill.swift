import ArgumentParser

@main
struct Bidmill: ParsableCommand {}
