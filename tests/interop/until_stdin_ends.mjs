// Ends the process when its stdin does, which is when the tests have gone, however they went.
process.stdin.resume().on("end", () => process.exit());
