/**
 * What the linter holds: strict types, no promise left alone (here that is a lost commit), and no clock, timer, chance
 * or network taken from the machine in the rooms that the simulator drives.
 */
import eslint from '@eslint/js'
import tseslint from 'typescript-eslint'

const portsMend = 'take a Clock or a Chance (src/clock.ts) as an argument, so that a test owns it'
const simulatedRooms = '{codec,log,stream,state,aggregates,operators,pipeline,actor,placement}'

export default tseslint.config(
  { ignores: ['dist/', '.bench/', '.simulate/', 'node_modules/', '**/*.d.ts'] },
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      // An async method may keep to its port without waiting for anything.
      '@typescript-eslint/require-await': 'off',
      // `return resolve()` and `() => void work()` say that nothing comes back.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      // A constructor that only narrows its parameters, or opens a protected one, is not useless.
      '@typescript-eslint/no-useless-constructor': 'off',
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
    },
  },
  {
    files: [`src/${simulatedRooms}/**/*.ts`],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['setTimeout', 'setInterval', 'performance', 'fetch'].map(name => ({ name, message: portsMend })),
      ],
      'no-restricted-properties': [
        'error',
        ...[
          ['Date', 'now'],
          ['Math', 'random'],
          ['AbortSignal', 'timeout'],
          ['process', 'hrtime'],
          ['crypto', 'randomUUID'],
          ['crypto', 'getRandomValues'],
          ['globalThis', 'setTimeout'],
          ['globalThis', 'setInterval'],
          ['globalThis', 'performance'],
          ['globalThis', 'fetch'],
        ].map(([object, property]) => ({ object, property, message: portsMend })),
      ],
      'no-restricted-syntax': [
        'error',
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: portsMend },
        { selector: "CallExpression[callee.name='Date']", message: portsMend },
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: [
            ...['node:timers', 'node:timers/promises', 'node:perf_hooks'].map(name => ({ name, message: portsMend })),
            {
              name: 'node:crypto',
              importNames: ['randomBytes', 'randomUUID', 'randomInt', 'randomFillSync', 'getRandomValues'],
              message: portsMend,
            },
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.test.ts', 'test/**/*.ts', 'bench/**/*.ts', 'src/testing/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      // What `expect.any()` and its like give is any.
      '@typescript-eslint/no-unsafe-assignment': 'off',
    },
  },
  { files: ['**/*.js'], extends: [tseslint.configs.disableTypeChecked] },
)
