//! Text to specification, with findings: server, Lambda and ECS AppSpecs. Pure: reads no file and asks nobody.
