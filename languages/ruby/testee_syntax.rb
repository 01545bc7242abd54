def not_ruby(
  end end
