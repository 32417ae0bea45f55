/** The user agent's part of the command line. Each command loads its work when it runs. */
import { type Command, Option } from 'commander';
import { collect } from '../cli/program.ts';
import type { AgentArguments } from './agent-arguments.ts';

export function registerAgent(program: Command): void {
  program.enablePositionalOptions(); // so that `agent COMMAND -x` leaves -x to the command
  program
    .command('agent')
    .description('run the ssh-agent; takes the options of ssh-agent(1)')
    .argument('[command...]', 'run this command with an agent that ends with it')
    .option('-a <socket>', 'listen at this path instead of the default')
    .option('-s', 'go to the background and print Bourne shell commands')
    .option('-c', 'go to the background and print C shell commands')
    .option('-D', 'stay in the foreground (the default without -a, -s, -c and a command)')
    .option('-d', 'stay in the foreground')
    .option('-k', 'end the agent that SSH_AGENT_PID names')
    .option('-t <life>', 'lifetime for keys that are added without one, e.g. 12h')
    .option('-P <patterns>', 'middleware libraries that security keys may use')
    .option('-E <hash>', 'accepted for ssh-agent: fingerprints are SHA-256')
    .option('-O <option>', 'accepted for ssh-agent', collect)
    .option('-T', 'accepted for ssh-agent: the socket is in a temporary directory')
    .option('-U', 'accepted for ssh-agent')
    .option('--upstream <name=socket>', 'pass through to this agent too; may be repeated', collect)
    .option('--no-upstream', 'pass through to no agent, also not to the one in SSH_AUTH_SOCK')
    .option('--config <file>', 'configuration file (default: ~/.config/countersign/agent.toml, for the daemon only)')
    .addOption(hidden('--background-child'))
    .addOption(hidden('--parent-pid <pid>'))
    .passThroughOptions()
    .action(async (command: string[], options: AgentArguments) => {
      const { runAgentCommand } = await import('./agent-command.ts');
      process.exitCode = await runAgentCommand(options, command);
    });
  registerKeychainHelper(program);
}

/** The agent as a service of the user's session. */
export function registerAgentService(program: Command): void {
  const service = program
    .command('agent-service')
    .description("run the agent in the user's session: systemd or launchd");
  const actions = {
    install: 'write the service file, and say how to start it',
    remove: 'remove it again',
    print: 'print it',
  } as const;
  for (const [action, description] of Object.entries(actions)) {
    service
      .command(action)
      .description(description)
      .action(async () => {
        const { runServiceCommand } = await import('./service/service-command.ts');
        runServiceCommand(action as keyof typeof actions);
      });
  }
}

/** Started by the agent alone. */
function registerKeychainHelper(program: Command): void {
  program.command('keychain-helper', { hidden: true }).action(async () => {
    const { runKeychainHelper } = await import('./keychain/keychain-operation.ts');
    await runKeychainHelper();
  });
}

/** Commands that talk to the running agent over its control socket. */
export function registerAgentClients(program: Command): void {
  program
    .command('status')
    .description('show what the agent holds, and what waits for your consent')
    .option('--socket <path>', 'the agent socket, for another agent than your daemon')
    .option('--json', 'print the state as JSON')
    .action(async (options: { socket?: string; json?: boolean }) => {
      const { runStatus } = await import('./client-commands.ts');
      await runStatus(options);
    });
  program
    .command('approve')
    .description('answer a question of the agent; without ID, the only one, or each in turn')
    .argument('[id]', 'the question, as `status` shows it')
    .option('--deny', 'say no')
    .option('--watch', 'stay, and ask for each question as it comes')
    .option('--socket <path>', 'the agent socket, for another agent than your daemon')
    .action(async (id: string | undefined, options: { deny?: boolean; watch?: boolean; socket?: string }) => {
      const { runApprove } = await import('./client-commands.ts');
      process.exitCode = await runApprove(id, options);
    });
}

function hidden(flags: string): Option {
  return new Option(flags).hideHelp();
}
