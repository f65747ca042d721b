// Builds the preview page: one bundle with its own React and Grafana's component library, served by `podscope` itself.
const path = require('node:path');
const CopyPlugin = require('copy-webpack-plugin');

module.exports = {
  name: 'preview',
  mode: 'production',
  devtool: false,
  target: ['web', 'es2022'],
  context: __dirname,
  entry: { preview: './main.tsx' },
  output: {
    path: path.resolve(__dirname, '../dist-preview'),
    filename: '[name].js',
    chunkFilename: '[name].[contenthash:8].js',
    publicPath: '/assets/',
    clean: true,
  },
  resolve: {
    extensions: ['.ts', '.tsx', '.mjs', '.js'],
    // Parts of the component library that no panel here uses.
    alias: { 'monaco-editor': false, '@monaco-editor/react': false, 'react-monaco-editor': false },
  },
  performance: { hints: false },
  // It is served over loopback: a smaller bundle is not worth half a minute of build.
  optimization: { minimize: false },
  module: {
    rules: [
      // As the bundlers of the library's own tests read it: extensions may be left out, and a CommonJS default is `.default`.
      { test: /\.mjs$/, type: 'javascript/auto', resolve: { fullySpecified: false } },
      {
        test: /\.tsx?$/,
        exclude: /node_modules/,
        use: {
          loader: 'swc-loader',
          options: {
            jsc: {
              target: 'es2022',
              parser: { syntax: 'typescript', tsx: true },
              transform: { react: { runtime: 'automatic' } },
            },
          },
        },
      },
      { test: /\.css$/, use: ['style-loader', 'css-loader'] },
      { test: /\.(svg|png|woff2?)$/, type: 'asset/resource' },
    ],
  },
  plugins: [new CopyPlugin({ patterns: [
        { from: 'index.html' },
        // Icons are fetched by name.
        { from: '../node_modules/@grafana/ui/dist/public/img/icons', to: 'public/build/img/icons' },
      ] })],
};
