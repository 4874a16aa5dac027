def measure(code, quick): raise SystemExit("todo")
