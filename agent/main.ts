#!/usr/bin/env node
/**
 * The `countersign` program: a list of commands. Each registers its options here and loads its work when it runs, so that
 * starting costs no more than what is used.
 */
import { registerBootstrap } from './cli/bootstrap.ts';
import { registerDoctor } from './cli/doctor.ts';
import { registerHost } from './cli/host.ts';
import { registerLogin } from './cli/login.ts';
import { createProgram, runProgram } from './cli/program.ts';
import { registerSshConfig } from './cli/ssh-config.ts';
import { registerWhy } from './cli/why.ts';
import { registerAgent, registerAgentClients, registerAgentService } from './user/cli.ts';

const program = createProgram();
registerBootstrap(program);
registerHost(program);
registerAgent(program);
registerAgentClients(program);
registerAgentService(program);
registerLogin(program);
registerSshConfig(program);
registerDoctor(program);
registerWhy(program);
process.exitCode = await runProgram(program, process.argv);
